from softswitch.plugin.maker import PolicyMaker

night = PolicyMaker("night", "night_service:NightService", "Answering service after hours.")
