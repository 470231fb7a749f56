"""Forecasting a table: what its columns are for, their scales, and forecasts in its own dates and units."""
