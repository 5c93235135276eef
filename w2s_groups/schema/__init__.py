"""The configuration of a run as dataclasses, with every range checked."""
