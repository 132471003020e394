"""Let ``python -m featx`` be ``featx``."""

from featx.cli import main

if __name__ == "__main__":
    main()
