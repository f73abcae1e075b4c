"""The ONNX network without torch: heads, further outputs, statistics, quantisation."""
