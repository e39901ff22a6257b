package client

import "testing"

// The user that agents run as is never told to join the group that may connect.
func TestAgentIn(t *testing.T) {
	const users = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n" +
		"agent:x:993:993:AaaU agent:/var/lib/aaau/agent:/usr/sbin/nologin\n" +
		"helper:x:992:992::/srv/helper:/bin/false\nagent3:x:1003:1003::/var/lib/aaau/agent3:/bin/bash\nbroken:x:1004\n"
	for uid, want := range map[string]bool{"0": false, "1000": false, "993": true, "992": true, "1003": true, "1004": false, "5": false, "": false} {
		if got := agentIn(users, uid); got != want {
			t.Errorf("uid %s: %t", uid, got)
		}
	}
}
