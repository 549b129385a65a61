"""A local server that speaks Slack's APIs strictly: what Slack refuses, it refuses too."""
