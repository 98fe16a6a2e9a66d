"""Tests of mirosd_client."""
