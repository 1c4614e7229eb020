"""``python -m corticode``: the command line."""

from corticode.cli import main

if __name__ == "__main__":
    main()
