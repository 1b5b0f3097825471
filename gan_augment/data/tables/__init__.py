"""Tables: containers and files in, what each column holds, and columns as numbers and back."""
