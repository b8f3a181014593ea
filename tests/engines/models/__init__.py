"""Tests of the models that engines load."""
