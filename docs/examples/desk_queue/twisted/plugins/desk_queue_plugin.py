from softswitch.plugin.maker import PolicyMaker

desk_queue = PolicyMaker("desk_queue", "desk_queue:DeskQueue", "Members ring in turn.")
