"""How fast is it: measurements in turns, on the machine at hand."""
