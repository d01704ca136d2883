"""MMT: measures PyTorch operators on devices that run MNN and predicts the latency of whole models."""
