"""From one source per lab to notebooks, workspace, progress, passport and claims."""
