"""What alknet costs beside its peers: `python -m benches`, see `benches.__main__`."""
