"""What a network costs: parameters, MACs, bytes, latency, roofline."""
