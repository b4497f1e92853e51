from softswitch.plugin.maker import PolicyMaker

cheapest = PolicyMaker("cheapest", "cheapest:Cheapest", "The cheapest trunk that works.")
