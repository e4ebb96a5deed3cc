"""How near made images are to real ones: features of a fixed network, and distances between clouds of them."""
