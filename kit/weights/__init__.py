"""Published weights: tables from their names to the kit's, and readers."""
