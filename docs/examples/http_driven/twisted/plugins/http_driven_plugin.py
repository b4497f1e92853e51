from softswitch.plugin.maker import PolicyMaker

http_driven = PolicyMaker("http_driven", "http_driven:HttpDriven", "A web service says where to.")
