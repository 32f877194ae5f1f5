"""`python -m genlab`, which is what torchrun starts."""

from genlab.cli.main import main

if __name__ == "__main__":
    main()
