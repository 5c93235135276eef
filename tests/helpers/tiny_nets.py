"""Source of networks that pool pixels: real features in a moment, for runs from end to end."""

MEANS_AND_QUARTERS = """
from torch import nn

def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

def quarters():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
"""
