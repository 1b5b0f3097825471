"""`python -m gan_augment_cli` is `gan-augment`."""

from gan_augment_cli.app import main

if __name__ == "__main__":
    main()
