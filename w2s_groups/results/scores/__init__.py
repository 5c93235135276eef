"""Measures of outputs on test rows, one a file: functions of arrays, with weights of the rows."""
