package project

// Tools returns the directories of the person's own tools.
func Tools(home string, environ []string) (dirs []Dir, env []string) { return nil, nil }
