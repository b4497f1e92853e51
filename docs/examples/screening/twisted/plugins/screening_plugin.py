from softswitch.plugin.maker import PolicyMaker

screening = PolicyMaker("screening", "screening:Screening", "Looks at who calls from outside.")
