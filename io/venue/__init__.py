"""The embedded exchange: an OKX v5 venue for USDT-margined perpetual swaps, on loopback or in-process."""
