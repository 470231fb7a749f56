"""The recurrence compiler: any cell as native code, one noun a file."""
