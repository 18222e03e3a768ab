"""Commands of ``anchorwatch`` that have a module of their own."""
