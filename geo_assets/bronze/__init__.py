"""What lies in the containers, whoever put it there."""
