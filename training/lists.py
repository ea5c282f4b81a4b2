# SPDX-License-Identifier: Apache-2.0
"""Word lists of the grammars."""

import string

ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãä" "åæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽž"
SYMBOLS = "€£¥§©®°±²³½µ·×÷–—‘’“”„…•«»¿¡"
CHARS = string.digits + string.ascii_letters + string.punctuation + " " + ACCENTED + SYMBOLS
CLASS = {c: i + 1 for i, c in enumerate(CHARS)}  # 0 = blank

FIRST = """James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph
Jessica Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Margaret Mark Sandra
Donald Ashley Steven Kimberly Paul Emily Andrew Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Dorothy
George Melissa Timothy Deborah Ronald Stephanie Edward Rebecca Jason Sharon Jeffrey Laura Ryan Cynthia Jacob
Kathleen Gary Amy Nicholas Angela Eric Shirley Jonathan Anna Stephen Brenda Larry Pamela Justin Emma Scott
Nicole Brandon Helen Benjamin Samantha Samuel Katherine Gregory Christine Alexander Debra Frank Rachel Patrick
Carolyn Raymond Janet Jack Catherine Dennis Maria Jerry Heather Tyler Diane Aaron Ruth Jose Julie Adam Olivia
Nathan Joyce Henry Virginia Douglas Victoria Zachary Kelly Peter Lauren Kyle Christina Noah Joan Ethan Evelyn
Jeremy Judith Walter Megan Christian Andrea Keith Cheryl Roger Hannah Terry Jacqueline Austin Martha Sean Gloria
Gerald Teresa Carl Ann Harold Sara Dylan Madison Arthur Frances Lawrence Kathryn Jordan Janice Jesse Jean Bryan
Abigail Billy Alice Bruce Julia Gabriel Judy Joe Sophia Logan Grace Alan Denise Juan Amber Albert Doris Willie
Marilyn Elijah Danielle Wayne Beverly Randy Isabella Vincent Theresa Mason Diana Roy Natalie Ralph Brittany
Bobby Charlotte Russell Marie Bradley Kayla Philip Alexis Eugene Lori Oliver Freya Harry Priya Omar Leila Hugo
Ingrid Pedro Yusuf Chloe Aisha Ravi Mei Liam Zoe Owen Nora Felix Clara Ivan Elena Marco Lucia Tom Kate Ben Sam""".split()
LAST = """Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson
Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson
Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell
Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris
Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward
Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel
Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler Henderson Barnes Fisher
Vasquez Simmons Graham Murray Ford Hamilton Wallace West Cole Hayes Owens Gibson Bryant Ellis Stevens Marshall
Hunter Harrison Fraser Burns Webb Stone Hawkins Dunn Perkins Hudson Spencer Gardner Payne Pierce Berry Matthews
Arnold Wagner Willis Watkins Olson Carroll Duncan Snyder Hart Cunningham Lane Andrews Ruiz Harper Fox Riley
Armstrong Carpenter Weaver Greene Lawrence Elliott Chapman Schmidt Muller Becker Novak Kowalski Rossi Silva
Singh Khan Ahmed Chen Wang Tanaka Sato Haddad Cohen Levy O'Brien O'Connor McDonald Fischer Weber""".split()
STREET = """Main Oak Pine Maple Cedar Elm Washington Lake Hill Park Walnut Spring North South Ridge Church Willow Mill
Sunset Railroad Jackson Cherry River Franklin Jefferson Center Highland Forest Meadow Chestnut Broad Green
Prospect Lincoln Adams Madison Victoria Station London Grove Queen King Albert Manor Kings York Windsor Bridge
Garden Orchard Market High Mount Valley Bay Harbor Birch""".split()
STREET_KIND = """Street Avenue Road Lane Drive Court Place Boulevard Way Close Terrace Square""".split()
STREET_SHORT = {"Street": "St.", "Avenue": "Ave", "Road": "Rd.", "Lane": "Ln", "Drive": "Dr.", "Boulevard": "Blvd"}
CITY = """Springfield Franklin Greenville Bristol Clinton Fairview Salem Madison Georgetown Arlington Ashland Burlington
Manchester Oxford Milton Newport Auburn Dayton Lexington Milford Riverside Cleveland Dover Hudson Kingston
Oakland Chicago Boston Denver Seattle Austin Portland Houston Phoenix Dallas Atlanta Miami Leeds London Paris
Berlin Madrid Vienna Dublin York Bath Cambridge Glasgow Edinburgh Cardiff Toronto Ottawa Sydney Melbourne
Auckland Rome Milan Oslo Lisbon Prague Zurich Geneva Hamburg Munich Brussels""".split()
STATE = """Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois
Indiana Iowa Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri
Montana Nebraska Nevada Ohio Oklahoma Oregon Pennsylvania Tennessee Texas Utah Vermont Virginia Washington
Wisconsin Wyoming""".split()
STATE2 = """AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV OH OK OR PA TN TX UT VT VA
WA WI WY""".split()
MONTH = """January February March April May June July August September October November December""".split()
DAY = """Monday Tuesday Wednesday Thursday Friday Saturday Sunday""".split()
DOMAIN = """example mail gmail outlook company northwind acme hotmail yahoo webmail office contoso bluebird globex initech
mailbox city home""".split()
TLD = """com com com org net co.uk de edu io fr""".split()
ITEM = """Coffee Tea Milk Bread Butter Cheese Apples Bananas Oranges Rice Pasta Chicken Salad Soup Sandwich Water Juice
Sugar Salt Eggs Yogurt Tomatoes Onions Potatoes Pizza Burger Fries Soap Shampoo Paper Pens Batteries Cable
Charger Notebook Stapler Socks Shirt Towel Candles Flowers Magazine Ticket Parking Fuel Service Delivery Repair
Labour Filter Hammer Nails Paint Brush Ladder Lamp Chair""".split()
UNIT = """kg g mg km m cm mm L ml °C °F % W kW V A Hz MHz GHz GB MB KB lb oz ft in mph km/h Pa bar kPa psi h min s ms dB
Nm rpm m² m³ ppm""".split()
FIELDS = """Name|Address|Date|Invoice|Order|Total|Subtotal|Tax|VAT|Phone|Fax|Email|Customer|Account|Amount|Due|
Balance|Reference|Subject|Page|Quantity|Price|Description|Signature|City|State|Country|Policy|
Patient|Doctor|Room|Date of birth|Serial|No.|Model|Part|No.|Batch|Expires|Weight|Height|Voltage|
Pressure|Temperature|Speed|Status|Version|Department|Contact|Website|Cashier|Change|Cash|Card|
Terminal|Approved|Table|Guests|Server|Check-in|Check-out|Gate|Seat|Flight|Train|Platform|Departure|
Arrival|Ticket|From|To|Issued|Valid until""".replace("\n", "").split("|")
HEADINGS = """Introduction|Summary|Terms and Conditions|Table of Contents|Chapter|Appendix|References|Notice|
Important|Warning|Conclusion|Annual Report|Meeting Minutes|Shipping Label|Bill To|Ship To|
Thank you for your purchase!|Please retain this receipt|Opening hours|No smoking|Emergency exit|
Do not enter|Out of order|Open|Closed|Sale|Special offer|Price list|Menu of the day|
For official use only|Caution: hot surface|Mind the gap|Push|Pull|Exit|Entrance|Fragile|
Handle with care|This way up|Best before|Made in Germany|Keep out of reach of children|
Authorised personnel only|Loading|Please wait|Settings|Save as|Cancel|OK|File Edit View Help|Error|
Connection lost|Low battery|Insert card|Remove card|Enter PIN|Transaction approved|Have a nice day!""".replace("\n", "").split("|")
FOREIGN = """Straße Grüße Köln Müller Übung Größe für über schön Fußball naïve café déjà vu crème brûlée façade garçon élève
château été forêt où mañana señor niño corazón España São Paulo informação não coração pão Århus København
smørrebrød Malmö Göteborg Łódź Zürich Genève Besançon fiancée résumé jalapeño piñata açaí über-cool Señora Ärger
Öffnung Überweisung Rückgabe gültig bis Mehrwertsteuer Prix à payer Numéro de téléphone Français Español
Português Italiano perché città università però più""".split()

DIGIT = """zero one two three four five six seven eight nine""".split()
TEENS = """ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen""".split()
TENS = """_ _ twenty thirty forty fifty sixty seventy eighty ninety""".split()
ORD = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""".split()
NATO = """Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliet Kilo Lima Mike November Oscar Papa Quebec Romeo
Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu""".split()
VERB = """buy find lose open close want see need carry clean forget paint move sell use watch fix take make cook eat read
write""".split()
SUBJECT = """I|we|they|you|he|she|my brother|my sister|the teacher|the driver|our neighbour|the children|
the old man|the manager|people|the doctor|a friend|her mother|the cat|the company|everyone""".replace("\n", "").split("|")
VERB_PAST = """bought|found|lost|opened|closed|wanted|liked|saw|needed|carried|cleaned|forgot|painted|moved|sold|
used|watched|fixed|took|made|gave away|cooked|ate|read|wrote|heard about|talked about|waited for|
looked at|thought about""".replace("\n", "").split("|")
OBJECT = """a car|the house|some bread|the letter|a new phone|the red door|an old book|the window|two tickets|
the garden|a cup of tea|the answer|a long story|the key|his coat|their money|the picture|
a small boat|the kitchen table|the last train|breakfast|the song|a warm blanket|the road|my glasses|
the dog|an umbrella|the computer|the whole cake|the wrong number""".replace("\n", "").split("|")
TAIL = """yesterday|last night|in the morning|on the way home|before lunch|after work|at the station|
in the park|this week|with a smile|without a word|again|for the first time|because it was raining|
when the sun came up|near the river|at school|during the summer|two years ago|as soon as possible|
and then went home|but nobody noticed|so we left early""".replace("\n", "").split("|")

# What is said in a call; {names} are slots of speech_text.py.
CALL = """Thank you for calling, my name is {first}, how can I help you today?
Thank you for calling customer service. This call may be recorded.
Hi, my name is {name}.
My name is {spell_last}.
It's {first}, {spell_last}.
Yes, the name on the account is {name}.
Could I take your full name, please?
Can you spell that for me?
Sure, it's {spell_first}.
My phone number is {phone}.
You can reach me at {phone}.
The number is {phone}.
Call me back on {phone}, please.
And what's the best number to reach you on?
My mobile is {phone}.
The card number is {card}.
It's {card}.
My credit card is {card}, and it expires {expiry}.
It's a visa card, {card}.
Can you read me the long number on the front of the card?
The expiry date is {expiry}.
The security code is {cvv}.
And the three digits on the back are {cvv}.
The last four digits are {last4}.
My social security number is {ssn}.
The last four of my social are {ssn4}.
My date of birth is {dob}.
I was born on {dob}.
Date of birth, {dob}.
I live at {address}.
My address is {address}.
Please send it to {address}.
We moved from {street} to {address}.
My zip code is {zip}.
The zip is {zip}.
My email is {email}.
You can email me at {email}.
It's {email}.
Is that {email}?
The account number is {acct}.
My account is {acct}, sort code {sort}.
The sort code is {sort}.
The order number is {code}.
My booking reference is {code}.
The policy number is {code}.
My passport number is {code}.
The licence plate is {code}.
The confirmation code is {nato}.
My password is {nato}.
Let me repeat that, {phone}.
So that's {card}, is that right?
I see a charge of {amount} on {date}.
You were charged {amount} twice.
We can refund {amount} to your card.
The balance on your account is {amount}.
Your payment of {amount} is due on {date}.
I'd like to pay {amount} now.
I ordered {n} boxes of {item} on {day}.
The appointment is on {day} at {time}.
Can we make it {time} on {day} instead?
I will be in {city} until {date}.
Are you calling from {city}, {state}?
One moment please while I look that up.
I'm sorry to hear that, let me check the account.
Okay, I have found your account, {first}.
Is there anything else I can help you with?
No, that's all, thank you very much.
Thanks for your help, {first}. Goodbye.
Could you hold the line for a moment?
I need to verify a few details first.
Can you confirm your postcode?
What is the reason for your call today?
I would like to cancel my order.
My internet has been down since {day}.
I never received the {item} I ordered.
The delivery was supposed to arrive on {date}.
I want to change my address to {address}.
Please update the phone number to {phone}.
Sorry, I didn't catch that.
Yes, that's correct.
No, that's not right.
Sure, go ahead.
All right, thank you.
Let me transfer you to the billing department.
Your reference number for this call is {code}.
My mother's maiden name is {last}.
My doctor is {name} at the {city} clinic.
I spoke with {first} last {day}.
The patient is {name}, born {dob}.
My employer is in {city}, the number there is {phone}.
Can I get a copy of the invoice for {month}?
The serial number is {code}.
It was {n} dollars when I looked on {day}.
He lives at {address} with {name}.""".split("\n")
CALL_HELD = """May I have the number we can call you on? Certainly, {phone}.
The number embossed on my card reads {card}.
For the record, I was born {dob} in {city}.
Could you post everything to {address}?
Write to me, {email}, any time.
That would be {amount}, payable by {date}.
Under the name {name}, reference {code}.
Our meeting with {name} moved to {day}, {time}.
The account ending in {last4} belongs to {name}.
Please quote {acct} when you call.""".split("\n")
