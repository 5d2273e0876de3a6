"""The call protocol: what an operation is, who may call it, and how a call gets its one outcome."""
