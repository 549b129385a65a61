"""What Slack alone needs: see bot/platforms/slack.py."""
