"""What latency tables were made with before: the other side of every comparison in docs/performance.md.

A small reconstruction, in our own words, of how such tools work, with what costs time in them and nothing else:

- `generate`: every operator goes through PyTorch's exporter and then the engine's converter, one after another;
- `meter`: every operator is measured in a process of its own, with a fixed number of runs;
- `predict`: the model runs a full forward pass with a hook on the outermost modules of the table's classes, and each of
  them is looked up by class, input shape and printed text, from the first row of the table to the last.
"""
