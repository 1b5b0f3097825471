"""Items of torch datasets as pictures and rows of the contract, and back."""
