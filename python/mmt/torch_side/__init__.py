"""The side of MMT that needs PyTorch: identities of modules, traces, conversion to `.mnn`, scanning of models."""
