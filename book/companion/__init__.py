"""The book's own code: its experiments, figures, tables and explorers, one room a chapter."""
