"""The luma of ITU-R BT.601, by which grey pictures are made and super-resolution is measured."""

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue
