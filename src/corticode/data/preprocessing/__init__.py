"""From the camera to a signal: motion, blood, dF/F, each a step with a stated look-ahead."""
