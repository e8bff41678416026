print("dsip")
