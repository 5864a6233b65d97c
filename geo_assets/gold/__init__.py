"""Gold: what is made of whole tables, and by queries over them."""
