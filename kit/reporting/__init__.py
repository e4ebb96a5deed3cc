"""What a person looks at after training: plots and one self-contained page."""
