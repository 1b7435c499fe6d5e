"""The commands of `inkstream`, a module each; `main` holds the entry point."""
