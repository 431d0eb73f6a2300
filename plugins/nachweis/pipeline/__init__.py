"""What a night does: load, plan, observe, judge, decide, assemble, publish, notify."""
