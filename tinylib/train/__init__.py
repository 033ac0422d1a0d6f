"""Training in little memory: frozen layers that keep less, TinyTL, sparse updates, compressed gradients."""
