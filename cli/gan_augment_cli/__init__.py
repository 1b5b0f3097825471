"""The command line `gan-augment`: parses, calls one function of the library, prints one result."""
