"""CSV files read and written as they are: dialect, formats of numbers and dates, rows."""
