"""Tests of the shell over miros: each fault it cures is shown on plain miros first."""
