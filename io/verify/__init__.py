"""The user's document, proven: what stands behind each of its lines is run, and the document is written anew."""
