"""``python -m anchorwatch``: the same as the ``anchorwatch`` command."""

from anchorwatch.io.cli import main

if __name__ == "__main__":
    main()
