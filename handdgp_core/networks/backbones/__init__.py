"""Feature extractors by name: ResNets and MediaPipe's landmark network."""
