"""The definition language: text to spec, spec to text, and the difference of two specs."""
