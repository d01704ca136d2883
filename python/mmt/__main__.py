"""`python -m mmt` is the command `mmt`."""

from mmt.cli import main

if __name__ == "__main__":
    main()
